package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"runtime"
	"testing/fstest"
	"time"

	"golang.org/x/crypto/argon2"

	"seimon/internal/store"
)

// floorArgon is bare Argon2id with the program's default costs, one on each core.
func floorArgon(ctx context.Context, d time.Duration) *result {
	salt := make([]byte, 16)
	return closed(ctx, runtime.NumCPU(), d, func(int) error {
		argon2.IDKey([]byte("kawa-no-nagare-42-shizuka"), salt, 2, 19<<10, 1, 32)
		return nil
	})
}

// floorSignature is bare ECDSA on P-256 with SHA-256, one on each core.
func floorSignature(ctx context.Context, d time.Duration) (*result, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte("header.payload"))
	return closed(ctx, runtime.NumCPU(), d, func(int) error {
		_, err := key.Sign(rand.Reader, sum[:], nil)
		return err
	}), nil
}

// floorCommit is one durable transaction of two writes, from so many writers at
// the same time, on a database of its own of the same kind.
func floorCommit(ctx context.Context, url string, writers int, d time.Duration) (*result, error) {
	db, err := store.Open(ctx, store.Config{URL: url})
	if err != nil {
		return nil, err
	}
	defer db.Close()
	err = db.Migrate(ctx, store.Schema{Room: "floor", Files: fstest.MapFS{"schema/001_floor.sql": {Data: []byte(
		"CREATE TABLE floor_a (id IDENTITY PRIMARY KEY, body TEXT NOT NULL);\nCREATE TABLE floor_b (id IDENTITY PRIMARY KEY, body TEXT NOT NULL);\n")}}})
	if err != nil {
		return nil, err
	}
	const body = "two hundred bytes, which is about what a row of a grant or an event has. two hundred bytes, which is about what a row of a grant or an event has."
	return closed(ctx, writers, d, func(int) error {
		return db.Write(ctx, func(tx *store.Tx) error {
			_, err1 := tx.Exec("INSERT INTO floor_a (body) VALUES ($1)", body)
			_, err2 := tx.Exec("INSERT INTO floor_b (body) VALUES ($1)", body)
			return errors.Join(err1, err2)
		})
	}), nil
}
