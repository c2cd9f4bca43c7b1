package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"google.golang.org/grpc"

	"go_log_client/logv1"
)

// ahead is how many requests of a stream may wait for their acknowledgement.
const ahead = 1024

type server struct {
	logv1.UnimplementedLogServiceServer
	log Log
}

func serve(arguments []string) error {
	flags := flag.NewFlagSet("serve", flag.ExitOnError)
	kept := keptFlags(flags)
	port := flags.Int("port", 8400, "of the service, on 127.0.0.1")
	admin := flags.Int("admin", 9090, "port on which every path answers once it serves")
	_ = flags.Parse(arguments)
	log, err := kept.open()
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", *port))
	if err != nil {
		return err
	}
	serving := grpc.NewServer()
	logv1.RegisterLogServiceServer(serving, &server{log: log})
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM)
	go func() {
		<-ended
		serving.GracefulStop()
	}()
	go func() { _ = http.ListenAndServe(fmt.Sprintf("127.0.0.1:%d", *admin), http.HandlerFunc(ready)) }()
	return errors.Join(serving.Serve(listener), log.Close())
}

func ready(answer http.ResponseWriter, _ *http.Request) { answer.WriteHeader(http.StatusOK) }

func (s *server) Produce(_ context.Context, request *logv1.ProduceRequest) (*logv1.ProduceResponse, error) {
	done := make(chan appended, 1)
	s.log.Append(request.GetRecords(), done)
	stored := <-done
	return &logv1.ProduceResponse{Offset: stored.offset, Count: uint32(len(request.GetRecords()))}, stored.err
}

// ProduceStream takes requests while earlier ones wait for the log.
func (s *server) ProduceStream(stream grpc.BidiStreamingServer[logv1.ProduceStreamRequest, logv1.ProduceStreamResponse]) error {
	counts, ended := make(chan uint32, ahead), make(chan error, 1)
	done := make(chan appended, ahead+2) // with room for all: the log never waits for a caller
	go func() {
		defer close(counts)
		for {
			request, err := stream.Recv()
			if err != nil {
				ended <- err
				return
			}
			counts <- uint32(len(request.GetRecords()))
			s.log.Append(request.GetRecords(), done)
		}
	}()
	for count := range counts {
		stored := <-done
		if stored.err != nil {
			return stored.err
		}
		if err := stream.Send(&logv1.ProduceStreamResponse{Offset: stored.offset, Count: count}); err != nil {
			return err
		}
	}
	if err := <-ended; !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}
