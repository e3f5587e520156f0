//go:build !linux

package vcard

func setQuickACK(int) {}
