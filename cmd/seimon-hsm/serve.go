package main

import (
	"encoding/hex"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode/utf8"
)

// helper answers questions about the keys of a token.
type helper struct {
	token   *token
	journal *journal
	signs   *bucket
	makes   *bucket
	say     func(format string, args ...any)
}

// The time a client may take to send the rest of a question, and to fetch an answer.
const (
	idle  = 5 * time.Minute
	patch = 10 * time.Second
)

// most is how many clients are served at once.
const most = 32

// serve answers on the listener until it is closed, and returns when all have gone.
func (h *helper) serve(l net.Listener) error {
	var all sync.WaitGroup
	defer all.Wait()
	slots := make(chan struct{}, most)
	for {
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			defer c.Close()
			h.talk(c)
		})
	}
}

// talk answers one client.
func (h *helper) talk(c net.Conn) {
	uid := peer(c)
	for {
		if err := c.SetDeadline(time.Now().Add(idle)); err != nil {
			return
		}
		var q question
		err := readFrame(c, &q)
		if err != nil && !isFault(err) {
			if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
				h.say("client of user %d: %v", uid, err)
			}
			return
		}
		var a answer
		if err == nil {
			a, err = h.answer(q, uid)
		}
		if err != nil {
			h.say("client of user %d: %s: %v", uid, q.Do, err)
			a = failed(err)
		}
		if err := c.SetDeadline(time.Now().Add(patch)); err != nil {
			return
		}
		if writeFrame(c, a) != nil {
			return
		}
	}
}

func isFault(err error) bool {
	var f fault
	return errors.As(err, &f)
}

// answer does what is asked. What uses a key is on record before its result is given.
func (h *helper) answer(q question, uid int) (answer, error) {
	line := record{UID: uid, Do: q.Do, Handle: q.Handle, Hash: q.Hash, Digest: hex.EncodeToString(q.Digest)}
	var a answer
	var err error
	switch q.Do {
	case "public":
		a.Public, err = h.token.public(q.Handle)
		return a, err
	case "generate":
		if !h.makes.take() {
			return a, fault{"limit", errors.New("too many keys were made: ask later")}
		}
		line.Label = q.Label
		if len(q.Label) > 200 || !utf8.ValidString(q.Label) || strings.ContainsAny(q.Label, "\x00\n") {
			err = wrong("the label is too long or no text")
		} else {
			a.Handle, a.Public, err = h.token.generate(q.Label, q.Algorithm)
		}
		line.Handle = a.Handle
	case "sign":
		if !h.signs.take() {
			return a, fault{"limit", errors.New("too many signatures: ask later")}
		}
		a.Signature, err = h.token.sign(q.Handle, q.Hash, q.Digest)
	default:
		return a, wrong("only generate, public and sign are known")
	}
	if err != nil {
		line.Error = err.Error()
	}
	if logged := h.journal.add(line); logged != nil {
		return answer{}, errors.Join(errors.New("the record cannot be written, so nothing is given"), logged)
	}
	if err != nil {
		return answer{}, err
	}
	return a, nil
}

// peer is the user behind a connection, -1 if unknown.
func peer(c net.Conn) int {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return -1
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return -1
	}
	uid := -1
	err = raw.Control(func(fd uintptr) {
		if cred, err := syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED); err == nil {
			uid = int(cred.Uid)
		}
	})
	if err != nil {
		return -1
	}
	return uid
}

// bucket limits how often something is done.
type bucket struct {
	mu    sync.Mutex
	rate  float64 // for each second
	burst float64
	left  float64
	at    time.Time
}

func newBucket(rate, burst float64) *bucket {
	return &bucket{rate: rate, burst: burst, left: burst, at: time.Now()}
}

func (b *bucket) take() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	b.left = min(b.burst, b.left+b.rate*now.Sub(b.at).Seconds())
	b.at = now
	if b.left < 1 {
		return false
	}
	b.left--
	return true
}
