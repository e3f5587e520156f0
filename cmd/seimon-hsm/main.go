package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
)

// options are the command line.
type options struct {
	module, token, pinFile, socket, mode, log, verify string
	rate                                              float64
}

func main() {
	var o options
	flag.StringVar(&o.module, "module", "", "PKCS#11 module, a shared library")
	flag.StringVar(&o.token, "token", "", "label of the token")
	flag.StringVar(&o.pinFile, "pin-file", "", "file with the user PIN")
	flag.StringVar(&o.socket, "socket", "/run/seimon-hsm/socket", "Unix socket to answer on")
	flag.StringVar(&o.mode, "mode", "0660", "mode of the socket: who may ask")
	flag.StringVar(&o.log, "log", "seimon-hsm.log", "record of everything that was signed; only added to")
	flag.Float64Var(&o.rate, "rate", 200, "most signatures in a second, over time")
	flag.StringVar(&o.verify, "verify", "", "only check the chain of this record")
	flag.Parse()
	log.SetFlags(log.LstdFlags | log.LUTC)
	if err := o.run(); err != nil {
		fmt.Fprintln(os.Stderr, "seimon-hsm:", err)
		os.Exit(1)
	}
}

func (o options) run() error {
	if o.verify != "" {
		f, err := os.Open(o.verify)
		if err != nil {
			return err
		}
		defer f.Close()
		last, err := verify(f)
		if err == nil {
			fmt.Println("The record is whole. Last line:", last)
		}
		return err
	}
	if o.module == "" || o.token == "" || o.pinFile == "" {
		return errors.New("--module, --token and --pin-file are needed (--help)")
	}
	pin, err := readPIN(o.pinFile)
	if err != nil {
		return err
	}
	j, err := openJournal(o.log)
	if err != nil {
		return err
	}
	t, err := openToken(o.module, o.token, pin)
	if err != nil {
		return err
	}
	defer t.close() //nolint:errcheck // the program ends
	l, err := listen(o.socket, o.mode)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, func() { l.Close() })
	h := &helper{token: t, journal: j, signs: newBucket(o.rate, 2*o.rate), makes: newBucket(0.01, 20), say: log.Printf}
	log.Printf("ready: token %q, socket %s", o.token, o.socket)
	return h.serve(l)
}

// readPIN reads the PIN from a file that nobody else can read.
func readPIN(name string) (string, error) {
	info, err := os.Stat(name)
	if err != nil {
		return "", err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return "", fmt.Errorf("%s can be read by others: chmod 600 it", name)
	}
	text, err := os.ReadFile(name)
	return strings.TrimSpace(string(text)), err
}

// listen opens the socket. It never exists with a wider mode than asked, and one left
// by a program that was killed is taken over.
func listen(name, mode string) (net.Listener, error) {
	perm, err := strconv.ParseUint(mode, 8, 9)
	if err != nil {
		return nil, fmt.Errorf("the mode %q is not of the form 0660", mode)
	}
	if c, err := net.Dial("unix", name); err == nil {
		c.Close()
		return nil, fmt.Errorf("another program answers on %s", name)
	}
	if info, err := os.Lstat(name); err == nil && info.Mode()&os.ModeSocket != 0 {
		if err := os.Remove(name); err != nil {
			return nil, err
		}
	}
	before := syscall.Umask(0o777 &^ int(perm))
	l, err := net.Listen("unix", name)
	syscall.Umask(before)
	return l, err
}
