package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"time"

	"go.etcd.io/bbolt"
)

// Store keeps files as blocks with versions. A version is a number of milliseconds, greater for
// each commit of a database: that is the time_millis of the protocol.
//
// In the bbolt file, each database is a bucket, with these keys in it:
//
//	's'                        the newest version
//	'v' version                a version that can be read: nothing
//	'f' name 0 'z' version     the size of a file from this version on
//	'f' name 0 'b' block version   the content of a block from this version on
//
// A block as of version v is the newest entry at or below v; so is a size. bbolt commits each
// transaction whole or not at all, and syncs it to the disk: P1 and P2.
type Store struct {
	db        *bbolt.DB
	retention time.Duration
}

const blockSize = 4096

var errTooOld = errors.New("this snapshot is no longer kept")

func OpenStore(path string, retention time.Duration) (*Store, error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: 5 * time.Second})
	if err != nil {
		return nil, err
	}
	return &Store{db, retention}, nil
}

func (s *Store) Close() error { return s.db.Close() }

// Create makes a database if there is none of that name.
func (s *Store) Create(database string) error {
	return s.db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists([]byte(database))
		return err
	})
}

// Change is one commit of a database: all that it does, or nothing.
func (s *Store) Change(database string, change func(c *Commit) error) error {
	return s.db.Update(func(tx *bbolt.Tx) error {
		bucket, err := tx.CreateBucketIfNotExists([]byte(database))
		if err != nil {
			return err
		}
		version := number(bucket.Get([]byte("s"))) + 1
		if now := uint64(time.Now().UnixMilli()); version < now {
			version = now
		}
		if err := change(&Commit{bucket, version}); err != nil {
			return err
		}
		if err := bucket.Put([]byte("s"), key(version)); err != nil {
			return err
		}
		if err := bucket.Put(key([]byte("v"), version), nil); err != nil {
			return err
		}
		return s.collect(bucket, version)
	})
}

// collect forgets the versions that are too old, but for the newest of them, which is still what
// was there when retention begins. Blocks that nobody can read then are deleted by put.
func (s *Store) collect(bucket *bbolt.Bucket, newest uint64) error {
	keep := newest - uint64(s.retention.Milliseconds())
	var old [][]byte
	cursor := bucket.Cursor()
	for k, _ := cursor.Seek([]byte("v")); k != nil && number(k[1:]) <= keep; k, _ = cursor.Next() {
		old = append(old, append([]byte(nil), k...))
	}
	for i := 0; i+1 < len(old); i++ {
		if err := bucket.Delete(old[i]); err != nil {
			return err
		}
	}
	return nil
}

// View reads a database as of a version, or of the newest one if that is 0. It tells which it was;
// 0 if there is no database, or nothing was ever committed to it.
func (s *Store) View(database string, version uint64, read func(c *Commit)) (uint64, error) {
	err := s.db.View(func(tx *bbolt.Tx) error {
		bucket := tx.Bucket([]byte(database))
		if bucket == nil {
			return nil
		}
		newest := number(bucket.Get([]byte("s")))
		if version == 0 || version > newest {
			read(&Commit{bucket, newest})
			if version == 0 {
				version = newest
			}
			return nil
		}
		oldest, _ := bucket.Cursor().Seek([]byte("v"))
		if oldest == nil || version < number(oldest[1:]) {
			return errTooOld
		}
		read(&Commit{bucket, version})
		return nil
	})
	return version, err
}

// Commit is a database at a version. Its methods that write are for Change alone.
type Commit struct {
	bucket  *bbolt.Bucket
	version uint64
}

// newest finds the newest entry of this prefix at or below the version.
func (c *Commit) newest(prefix []byte) []byte {
	cursor, wanted := c.bucket.Cursor(), key(prefix, c.version)
	k, v := cursor.Seek(wanted) // the first that is not below
	if k == nil {
		k, v = cursor.Last()
	} else if !bytes.Equal(k, wanted) {
		k, v = cursor.Prev()
	}
	if !bytes.HasPrefix(k, prefix) || len(k) != len(prefix)+8 {
		return nil
	}
	return v
}

func (c *Commit) Size(file string) int64 {
	return int64(number(c.newest(sizeKey(file))))
}

func (c *Commit) setSize(file string, size int64) error {
	return c.bucket.Put(key(sizeKey(file), c.version), key(uint64(size)))
}

// Read answers what there is of a range.
func (c *Commit) Read(file string, offset, length int64) []byte {
	if end := c.Size(file); length > end-offset {
		length = end - offset
	}
	if length <= 0 {
		return nil
	}
	result := make([]byte, length)
	for done := int64(0); done < length; {
		block, in := (offset+done)/blockSize, (offset+done)%blockSize
		n := blockSize - in
		if n > length-done {
			n = length - done
		}
		if content := c.newest(blockKey(file, block)); int64(len(content)) > in {
			copy(result[done:done+n], content[in:])
		}
		done += n
	}
	return result
}

// Write puts data into a file, which grows if need be. What lies between reads as zeros, for
// Truncate left nothing there.
func (c *Commit) Write(file string, offset int64, data []byte) error {
	end := offset + int64(len(data))
	for len(data) > 0 {
		block, in := offset/blockSize, offset%blockSize
		content := make([]byte, blockSize)
		copy(content, c.newest(blockKey(file, block)))
		n := copy(content[in:], data)
		if err := c.put(blockKey(file, block), content); err != nil {
			return err
		}
		offset, data = offset+int64(n), data[n:]
	}
	if end > c.Size(file) {
		return c.setSize(file, end)
	}
	return nil
}

// put writes a block, and deletes its versions that nobody can read any more.
func (c *Commit) put(prefix, content []byte) error {
	oldest := c.version
	if k, _ := c.bucket.Cursor().Seek([]byte("v")); k != nil {
		oldest = number(k[1:])
	}
	var entries [][]byte
	cursor := c.bucket.Cursor()
	for k, _ := cursor.Seek(prefix); k != nil && bytes.HasPrefix(k, prefix); k, _ = cursor.Next() {
		if number(k[len(prefix):]) > oldest {
			break
		}
		entries = append(entries, append([]byte(nil), k...))
	}
	for i := 0; i+1 < len(entries); i++ { // the last one is what the oldest version reads
		if err := c.bucket.Delete(entries[i]); err != nil {
			return err
		}
	}
	return c.bucket.Put(key(prefix, c.version), content)
}

// Truncate sets a file's size. What is cut off is overwritten, so that it cannot come back.
func (c *Commit) Truncate(file string, size int64) error {
	if old := c.Size(file); size < old {
		if in := size % blockSize; in > 0 {
			content := make([]byte, blockSize)
			copy(content, c.Read(file, size-in, in))
			if err := c.put(blockKey(file, size/blockSize), content); err != nil {
				return err
			}
		}
		for _, block := range c.blocks(file, (size+blockSize-1)/blockSize) {
			if err := c.put(blockKey(file, block), nil); err != nil {
				return err
			}
		}
	}
	return c.setSize(file, size)
}

// blocks tells which blocks of a file there are from one on; not those of gaps.
func (c *Commit) blocks(file string, first int64) []int64 {
	prefix := append(append([]byte("f"), file...), 0, 'b')
	var result []int64
	cursor := c.bucket.Cursor()
	k, _ := cursor.Seek(blockKey(file, first))
	for bytes.HasPrefix(k, prefix) {
		block := int64(number(k[len(prefix) : len(prefix)+8]))
		result = append(result, block)
		k, _ = cursor.Seek(blockKey(file, block+1))
	}
	return result
}

// Keys sort as their parts do.

func sizeKey(file string) []byte { return append(append([]byte("f"), file...), 0, 'z') }

func blockKey(file string, block int64) []byte {
	return key(append(append([]byte("f"), file...), 0, 'b'), uint64(block))
}

// key puts numbers behind a prefix, or alone.
func key(parts ...any) []byte {
	var result []byte
	for _, part := range parts {
		switch part := part.(type) {
		case []byte:
			result = append(result, part...)
		case uint64:
			result = binary.BigEndian.AppendUint64(result, part)
		}
	}
	return result
}

// number reads a number that key wrote; nothing is 0.
func number(bytes []byte) uint64 {
	if len(bytes) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(bytes)
}
