package vcard

import "syscall"

func setQuickACK(fd int) {
	_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_QUICKACK, 1) // slower without it, not wrong
}
