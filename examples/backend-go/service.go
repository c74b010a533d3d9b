package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"path"
	"sync"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"example.org/grpsqlite/backend-go/filepb"
)

const (
	heartbeat    = time.Second
	leaseTTL     = 3 * heartbeat  // a client may miss a heartbeat or two
	maxFileBytes = 1 << 40        // more is a mistake, or malice
	maxReadBytes = 4<<20 - 64<<10 // a message has 4 MiB
)

type lease struct {
	id   string
	ends time.Time
}

// FileService is grpc_vfs.Grpsqlite over a Store. Leases are in memory: after a restart every client
// has lost its own, and has to take it again, as after a long silence.
type FileService struct {
	filepb.UnimplementedGrpsqliteServer
	store *Store

	mu     sync.Mutex
	leases map[string]*lease // by database
}

func NewFileService(store *Store) *FileService {
	return &FileService{store: store, leases: map[string]*lease{}}
}

func (s *FileService) GetCapabilities(context.Context, *filepb.GetCapabilitiesRequest) (*filepb.GetCapabilitiesResponse, error) {
	return &filepb.GetCapabilitiesResponse{
		Context:                 "none",
		AtomicBatch:             true,
		PointInTimeReads:        true,
		SectorSize:              blockSize,
		HeartbeatIntervalMillis: heartbeat.Milliseconds(),
	}, nil
}

// holds tells whether this is the lease of the database, and renews it. With the mutex.
func (s *FileService) holds(database, id string) bool {
	l := s.leases[database]
	if l == nil || id == "" || l.id != id || time.Now().After(l.ends) {
		return false
	}
	l.ends = time.Now().Add(leaseTTL)
	return true
}

func (s *FileService) AcquireLease(_ context.Context, request *filepb.AcquireLeaseRequest) (*filepb.AcquireLeaseResponse, error) {
	database := request.Database
	if database == "" {
		return nil, status.Error(codes.InvalidArgument, "a database needs a name")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.leases[database]; l != nil && time.Now().Before(l.ends) {
		refusal, err := status.New(codes.FailedPrecondition, "another client has the lease").
			WithDetails(&errdetails.ErrorInfo{Domain: "grpsqlite", Reason: "LEASE_HELD"})
		if err != nil {
			return nil, err
		}
		return nil, refusal.Err()
	}
	if err := s.store.Create(database); err != nil {
		return nil, err
	}
	var random [16]byte
	if _, err := rand.Read(random[:]); err != nil {
		return nil, err
	}
	id := hex.EncodeToString(random[:])
	s.leases[database] = &lease{id, time.Now().Add(leaseTTL)}
	return &filepb.AcquireLeaseResponse{LeaseId: id}, nil
}

func (s *FileService) HeartbeatLease(_ context.Context, request *filepb.HeartbeatLeaseRequest) (*emptypb.Empty, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for database := range s.leases {
		if s.holds(database, request.LeaseId) {
			return &emptypb.Empty{}, nil
		}
	}
	return nil, status.Error(codes.NotFound, "the lease is gone")
}

// Close of the main file, whose name is the database's, ends the lease.
func (s *FileService) Close(_ context.Context, request *filepb.CloseRequest) (*emptypb.Empty, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if database := path.Base(request.FileName); s.holds(database, request.LeaseId) {
		delete(s.leases, database)
	}
	return &emptypb.Empty{}, nil
}

func (s *FileService) Read(_ context.Context, request *filepb.ReadRequest) (*filepb.ReadResponse, error) {
	if err := check(request.Offset, request.Length, request.TimeMillis); err != nil {
		return nil, err
	}
	answer := &filepb.ReadResponse{}
	tooMuch := false
	version, err := s.store.View(request.Database, uint64(request.TimeMillis), func(c *Commit) {
		file, length := path.Base(request.FileName), request.Length
		tooMuch = length > maxReadBytes && c.Size(file)-request.Offset > maxReadBytes
		if tooMuch {
			return
		}
		answer.Data = c.Read(file, request.Offset, length)
	})
	if errors.Is(err, errTooOld) {
		return nil, status.Error(codes.OutOfRange, err.Error())
	}
	if tooMuch {
		return nil, status.Error(codes.ResourceExhausted, "too much for one message")
	}
	answer.TimeMillis = int64(version)
	return answer, err
}

func (s *FileService) GetFileSize(_ context.Context, request *filepb.GetFileSizeRequest) (*filepb.GetFileSizeResponse, error) {
	answer := &filepb.GetFileSizeResponse{}
	_, err := s.store.View(request.Database, 0, func(c *Commit) {
		answer.Size = c.Size(path.Base(request.FileName))
	})
	return answer, err
}

// change makes one commit, if the request has the lease. The mutex is kept until it is on the disk,
// so that nobody is given the lease in between.
func (s *FileService) change(database, leaseID string, change func(c *Commit) error) (*emptypb.Empty, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.holds(database, leaseID) {
		return nil, status.Error(codes.FailedPrecondition, "this is not (any more) the lease")
	}
	return &emptypb.Empty{}, s.store.Change(database, change)
}

func (s *FileService) Write(_ context.Context, request *filepb.WriteRequest) (*emptypb.Empty, error) {
	if err := checkEnd(request.Offset, int64(len(request.Data))); err != nil {
		return nil, err
	}
	return s.change(request.Database, request.LeaseId, func(c *Commit) error {
		return c.Write(path.Base(request.FileName), request.Offset, request.Data)
	})
}

func (s *FileService) AtomicWriteBatch(_ context.Context, request *filepb.AtomicWriteBatchRequest) (*emptypb.Empty, error) {
	for _, write := range request.Writes {
		if err := checkEnd(write.Offset, int64(len(write.Data))); err != nil {
			return nil, err
		}
	}
	return s.change(request.Database, request.LeaseId, func(c *Commit) error {
		for _, write := range request.Writes {
			if err := c.Write(path.Base(request.FileName), write.Offset, write.Data); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *FileService) Truncate(_ context.Context, request *filepb.TruncateRequest) (*emptypb.Empty, error) {
	if err := checkEnd(request.Size, 0); err != nil {
		return nil, err
	}
	return s.change(request.Database, request.LeaseId, func(c *Commit) error {
		return c.Truncate(path.Base(request.FileName), request.Size)
	})
}

func (s *FileService) Delete(_ context.Context, request *filepb.DeleteRequest) (*emptypb.Empty, error) {
	return s.change(request.Database, request.LeaseId, func(c *Commit) error {
		return c.Truncate(path.Base(request.FileName), 0)
	})
}

func (s *FileService) Pragma(context.Context, *filepb.PragmaRequest) (*filepb.PragmaResponse, error) {
	return nil, status.Error(codes.NotFound, "SQLite's own")
}

// check refuses numbers that are negative.
func check(numbers ...int64) error {
	for _, n := range numbers {
		if n < 0 {
			return status.Errorf(codes.InvalidArgument, "%d is negative", n)
		}
	}
	return nil
}

// checkEnd refuses a place where no file goes on.
func checkEnd(offset, length int64) error {
	if err := check(offset, length); err != nil {
		return err
	}
	if offset > maxFileBytes-length {
		return status.Errorf(codes.ResourceExhausted, "a file has %d bytes at most", int64(maxFileBytes))
	}
	return nil
}
