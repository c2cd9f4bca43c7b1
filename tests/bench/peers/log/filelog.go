package main

import (
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"google.golang.org/protobuf/proto"

	"go_log_client/logv1"
)

// Log takes records; done is told the offset of the first, once they are acknowledged.
type Log interface {
	Append(records []*logv1.Record, done chan<- appended)
	Close() error
}

type appended struct {
	offset uint64
	err    error
}

const most = 1 << 20 // bytes of a group

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// fileLog is one file that grows: no segments, no index, nothing is read again. Each
// frame has a length, a CRC32C and the record as protobuf. All appends that wait are one
// write and, where they are to be synced, one fdatasync.
type fileLog struct {
	file  *os.File
	sync  bool
	next  uint64
	queue chan entry
	ended chan error
}

type entry struct {
	records []*logv1.Record
	done    chan<- appended
}

func openLog(directory string, sync bool) (Log, error) {
	file, err := os.OpenFile(filepath.Join(directory, "records"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	log := &fileLog{file: file, sync: sync, queue: make(chan entry, 1<<14), ended: make(chan error)}
	go log.run()
	return log, nil
}

func (l *fileLog) Append(records []*logv1.Record, done chan<- appended) {
	l.queue <- entry{records, done}
}

func (l *fileLog) Close() error {
	close(l.queue)
	return <-l.ended
}

func (l *fileLog) run() {
	var buffer []byte
	var group []entry
	for first := range l.queue {
		begin := l.next
		group, buffer = append(group[:0], first), l.frames(buffer[:0], first.records)
		for len(buffer) < most && len(l.queue) > 0 {
			each := <-l.queue
			group, buffer = append(group, each), l.frames(buffer, each.records)
		}
		_, err := l.file.Write(buffer)
		if err == nil && l.sync {
			err = syscall.Fdatasync(int(l.file.Fd()))
		}
		for _, each := range group {
			each.done <- appended{begin, err}
			begin += uint64(len(each.records))
		}
	}
	l.ended <- l.file.Close()
}

func (l *fileLog) frames(to []byte, records []*logv1.Record) []byte {
	now := time.Now().UnixMilli()
	for _, each := range records {
		each.Offset, each.TimestampMs = l.next, now
		l.next++
		start := len(to)
		to = append(to, make([]byte, 8)...)
		to, _ = proto.MarshalOptions{}.MarshalAppend(to, each) // a message in memory
		body := to[start+8:]
		binary.LittleEndian.PutUint32(to[start:], uint32(len(body)))
		binary.LittleEndian.PutUint32(to[start+4:], crc32.Checksum(body, castagnoli))
	}
	return to
}
