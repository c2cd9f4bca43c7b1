// A peer in Go of the log service, and the load that it and the service get.
//
//	log serve  -port 8400 -admin 9090 -directory D -acknowledge synced
//	log append -directory D -acknowledge synced …
//	log load   -address 127.0.0.1:8400 -streaming …
//
// `serve` is a server of log.v1 by grpc-go on the log of filelog.go, `append` the same
// log without a network, `load` the producers that any server of log.v1 is measured
// with. The last two print an object of JSON.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"time"
)

func main() {
	commands := map[string]func([]string) error{"serve": serve, "append": appendTo, "load": load}
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: log serve|append|load …")
		os.Exit(2)
	}
	if err := commands[os.Args[1]](os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// kept says where a log is, and what its acknowledgements mean.
type kept struct{ directory, acknowledge *string }

func keptFlags(flags *flag.FlagSet) kept {
	return kept{
		flags.String("directory", "", "of the log"),
		flags.String("acknowledge", "synced", "synced: after an fdatasync; written: the kernel has it"),
	}
}

func (k kept) open() (Log, error) {
	if *k.acknowledge != "synced" && *k.acknowledge != "written" {
		return nil, fmt.Errorf("unknown acknowledgement: %s", *k.acknowledge)
	}
	return openLog(*k.directory, *k.acknowledge == "synced")
}

// shape is what the producers do.
type shape struct {
	size, producers *int
	seconds, warm   *time.Duration
}

func shapeFlags(flags *flag.FlagSet) shape {
	return shape{
		flags.Int("size", 100, "bytes of a record"),
		flags.Int("producers", 1, "how many"),
		flags.Duration("time", 2*time.Second, "for how long"),
		flags.Duration("warm", 500*time.Millisecond, "time before it, which is not counted"),
	}
}

func print(found *report) error {
	return json.NewEncoder(os.Stdout).Encode(found)
}
