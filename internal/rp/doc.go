// Package rp keeps the relying parties: the services that ask who is signed in,
// whatever protocol they speak.
//
// It owns who a party is (names, logo, contact), which attributes may leave the
// house for it, what the person agreed to, and under which identifier an account
// is known there. It does not own what a protocol needs beside that (redirect
// addresses, keys, metadata): that is the Registration, written and read by the
// party's front alone. Which proof a party's rule asks for is policy's.
package rp
