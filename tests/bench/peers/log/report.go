package main

import (
	"slices"
	"syscall"
	"time"
)

// tally is what one producer measured: acknowledgements from begin to end.
type tally struct {
	begin, end time.Time
	waits      []time.Duration
	all        int // acknowledgements before and after it too
	err        error
}

func (t *tally) goesOn(now time.Time) bool { return now.Before(t.end) }

// add counts what was sent at began and is acknowledged now.
func (t *tally) add(began time.Time) (now time.Time) {
	now = time.Now()
	t.all++
	if now.After(t.begin) && now.Before(t.end) {
		t.waits = append(t.waits, now.Sub(began))
	}
	return now
}

type report struct {
	Records int     `json:"records"`
	All     int     `json:"all"`
	Seconds float64 `json:"seconds"`
	P50     float64 `json:"p50_ms"`
	P99     float64 `json:"p99_ms"`
	CPU     float64 `json:"cpu_seconds"`
	Failed  int     `json:"failed"`
	Why     string  `json:"why,omitempty"`
}

func reported(tallies []*tally, took time.Duration) *report {
	found := &report{Seconds: took.Seconds(), CPU: spent().Seconds()}
	var waits []time.Duration
	for _, each := range tallies {
		waits = append(waits, each.waits...)
		found.All += each.all
		if each.err != nil {
			found.Failed++
			found.Why = each.err.Error()
		}
	}
	found.Records = len(waits)
	if len(waits) > 0 {
		slices.Sort(waits)
		found.P50 = milliseconds(waits[len(waits)/2])
		found.P99 = milliseconds(waits[len(waits)*99/100])
	}
	return found
}

func milliseconds(wait time.Duration) float64 { return wait.Seconds() * 1e3 }

// spent returns the time of the processor that this process has used.
func spent() time.Duration {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage) // it can't fail for itself
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
