// A burst of requests to `/`, and how long each took from here.

import { at, readJson, seconds, show } from "./shared.js";

const AT_ONCE = 6;    // browsers open six connections to one host
const KEPT = 2000;    // latest requests whose time is remembered

/** The form that sends; tells `changed` after each answer. */
export class Burst {
  constructor(changed) {
    this.changed = changed;
    this.running = null;   // the AbortController of the burst, while there is one
    this.answers = [];     // {ended, took}: milliseconds of the page, seconds
    at("send").addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.running) this.running.abort();
      else this.run(at("amount").valueAsNumber);
    });
  }

  /** Seconds that each request took which ended after `since`. */
  took(since) {
    return this.answers.filter((each) => each.ended >= since).map((each) => each.took);
  }

  async run(amount) {
    this.running = new AbortController();
    const { signal } = this.running;
    show("go", "Stop");
    show("outcome", "");
    const tally = { left: amount, flying: 0, answered: 0, failed: 0, waited: 0 };
    at("progress").max = amount;
    await Promise.all(Array.from({ length: AT_ONCE }, () => this.lane(tally, signal)));
    show("outcome", `${signal.aborted ? "Stopped" : "Done"}: ${tally.answered} answered, ${tally.failed} failed.`);
    this.running = null;
    show("go", "Send");
  }

  async lane(tally, signal) {
    while (tally.left > 0 && !signal.aborted) {
      tally.left -= 1;
      tally.flying += 1;
      this.tell(tally);
      const begin = performance.now();
      try {
        await readJson(".", { signal });
        this.keep(begin, tally);
      } catch {
        if (!signal.aborted) tally.failed += 1;
      }
      tally.flying -= 1;
      this.tell(tally);
    }
  }

  keep(begin, tally) {
    const ended = performance.now();
    const took = (ended - begin) / 1000;
    tally.answered += 1;
    tally.waited += took;
    this.answers.push({ ended, took });
    if (this.answers.length > KEPT) this.answers.shift();
    this.changed();
  }

  tell(tally) {
    for (const key of ["answered", "flying", "failed"]) show(key, tally[key]);
    show("mean", tally.answered ? seconds(tally.waited / tally.answered) : "–");
    at("progress").value = tally.answered + tally.failed;
  }
}
