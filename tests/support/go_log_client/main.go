// Command go_log_client produces the lines of its input by one stream, follows the log
// until it has got as many records, and prints an object of JSON for each.
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"go_log_client/logv1"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, status.Code(err), err)
		os.Exit(1)
	}
}

func run() error {
	address := flag.String("address", "127.0.0.1:8400", "where the service is")
	ca := flag.String("ca", "", "authority of the server, PEM")
	cert := flag.String("cert", "", "own certificate, PEM; none without")
	key := flag.String("key", "", "its key, PEM")
	limit := flag.Duration("limit", 20*time.Second, "time for all of it")
	flag.Parse()
	secure, err := mutual(*ca, *cert, *key)
	if err != nil {
		return err
	}
	connection, err := grpc.NewClient(*address, grpc.WithTransportCredentials(credentials.NewTLS(secure)))
	if err != nil {
		return err
	}
	defer connection.Close()
	ctx, cancel := context.WithTimeout(context.Background(), *limit)
	defer cancel()
	client := logv1.NewLogServiceClient(connection)
	first, count, err := produce(ctx, client, os.Stdin)
	if err != nil || count == 0 {
		return err
	}
	return follow(ctx, client, first, count)
}

func mutual(ca, cert, key string) (*tls.Config, error) {
	text, err := os.ReadFile(ca)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, errors.New("no certificate in " + ca)
	}
	made := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	if cert == "" {
		return made, nil
	}
	own, err := tls.LoadX509KeyPair(cert, key)
	made.Certificates = []tls.Certificate{own}
	return made, err
}

// produce sends each line without waiting, and returns the first offset and the count.
func produce(ctx context.Context, client logv1.LogServiceClient, lines io.Reader) (first uint64, count int, err error) {
	stream, err := client.ProduceStream(ctx)
	if err != nil {
		return 0, 0, err
	}
	go func() {
		for scanner := bufio.NewScanner(lines); scanner.Scan(); {
			record := &logv1.Record{Value: append([]byte(nil), scanner.Bytes()...)}
			if stream.Send(&logv1.ProduceStreamRequest{Records: []*logv1.Record{record}}) != nil {
				break // Recv says why
			}
		}
		_ = stream.CloseSend()
	}()
	for ; ; count++ {
		answer, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return first, count, nil
		}
		if err != nil {
			return first, count, err
		}
		if count == 0 {
			first = answer.GetOffset()
		}
	}
}

func follow(ctx context.Context, client logv1.LogServiceClient, offset uint64, count int) error {
	stream, err := client.ConsumeStream(ctx, &logv1.ConsumeStreamRequest{Offset: offset})
	if err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	for count > 0 {
		answer, err := stream.Recv()
		if err != nil {
			return err
		}
		for _, each := range answer.GetRecords() {
			if err := out.Encode(map[string]any{"offset": each.GetOffset(), "value": string(each.GetValue())}); err != nil {
				return err
			}
			count--
		}
	}
	return nil
}
