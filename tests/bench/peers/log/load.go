package main

import (
	"context"
	"flag"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"go_log_client/logv1"
)

// each connection has as many producers, as a batch of pods behind one client would
const perConnection = 16

// load runs producers against a server of log.v1.
func load(arguments []string) error {
	flags := flag.NewFlagSet("load", flag.ExitOnError)
	shape := shapeFlags(flags)
	address := flags.String("address", "127.0.0.1:8400", "where the server is")
	streaming := flags.Bool("streaming", false, "ProduceStream, else Produce")
	batch := flags.Int("batch", 1, "records of a request")
	window := flags.Int("window", 32, "requests of a stream that wait for their answer")
	_ = flags.Parse(arguments)
	var clients []logv1.LogServiceClient
	for range (*shape.producers + perConnection - 1) / perConnection {
		connection, err := grpc.NewClient(*address, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			return err
		}
		defer connection.Close()
		clients = append(clients, logv1.NewLogServiceClient(connection))
	}
	run := func(producer int, value []byte, taken *tally) error {
		client := clients[producer%len(clients)]
		records := slices.Repeat([]*logv1.Record{{Value: value}}, *batch)
		if *streaming {
			return stream(client, records, taken, *window)
		}
		return one(client, records, taken)
	}
	found := produce(shape, run)
	found.Records, found.All = found.Records**batch, found.All**batch
	return print(found)
}

// appendTo runs producers against the log without a network, each waiting for its record.
func appendTo(arguments []string) error {
	flags := flag.NewFlagSet("append", flag.ExitOnError)
	kept, shape := keptFlags(flags), shapeFlags(flags)
	_ = flags.Parse(arguments)
	log, err := kept.open()
	if err != nil {
		return err
	}
	found := produce(shape, func(_ int, value []byte, taken *tally) error {
		done := make(chan appended, 1)
		for began := time.Now(); taken.goesOn(began); {
			log.Append([]*logv1.Record{{Value: value}}, done)
			stored := <-done
			if stored.err != nil {
				return stored.err
			}
			began = taken.add(began)
		}
		return nil
	})
	if err := log.Close(); err != nil {
		return err
	}
	return print(found)
}

type producer func(number int, value []byte, taken *tally) error

// produce runs all producers, and says what came of it.
func produce(shape shape, run producer) *report {
	begin := time.Now().Add(*shape.warm)
	tallies := make([]*tally, *shape.producers)
	var all sync.WaitGroup
	for number := range tallies {
		taken := &tally{begin: begin, end: begin.Add(*shape.seconds)}
		tallies[number] = taken
		value := make([]byte, *shape.size)
		for i := range value {
			value[i] = byte(rand.Uint32())
		}
		all.Go(func() { taken.err = run(number, value, taken) })
	}
	all.Wait()
	return reported(tallies, *shape.seconds)
}

func one(client logv1.LogServiceClient, records []*logv1.Record, taken *tally) error {
	request := &logv1.ProduceRequest{Records: records}
	for began := time.Now(); taken.goesOn(began); {
		if _, err := client.Produce(context.Background(), request); err != nil {
			return err
		}
		began = taken.add(began)
	}
	return nil
}

// stream sends as long as fewer than window requests wait for their answer.
func stream(client logv1.LogServiceClient, records []*logv1.Record, taken *tally, window int) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	calls, err := client.ProduceStream(ctx)
	if err != nil {
		return err
	}
	sent := make(chan time.Time, window)
	go func() {
		defer close(sent)
		request := &logv1.ProduceStreamRequest{Records: records}
		for now := time.Now(); taken.goesOn(now); now = time.Now() {
			sent <- now
			if calls.Send(request) != nil {
				return // Recv says why
			}
		}
		_ = calls.CloseSend()
	}()
	for began := range sent {
		if _, err := calls.Recv(); err != nil {
			cancel()
			for range sent { // the sender may wait for room
			}
			return err
		}
		taken.add(began)
	}
	return nil
}
