package certdoor

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
	"strconv"
	"strings"
)

// The PROXY protocol, as its authors at HAProxy describe it ("The PROXY protocol,
// versions 1 and 2", 2020-03-05): a header in front of the first byte of a
// connection that a proxy passes through.

var errProxyHeader = errors.New("certdoor: not a header of the PROXY protocol")

// v2Signature begins a header of version 2 (2.2).
const v2Signature = "\r\n\r\n\x00\r\nQUIT\n"

const (
	v1Longest = 107 // bytes, with the line's end (2.1)
	v2Longest = 536 // bytes of addresses and further values that we read past
)

// readProxy takes the header from the front of a connection and returns the address
// of the client; the zero value for a connection of the proxy's own (LOCAL,
// UNKNOWN). Anything else than a sound header is an error: the connection ends.
func readProxy(r *bufio.Reader) (netip.AddrPort, error) {
	head, err := r.Peek(len(v2Signature))
	if err != nil {
		return netip.AddrPort{}, err
	}
	if string(head) == v2Signature {
		return readV2(r)
	}
	return readV1(r)
}

func readV1(r *bufio.Reader) (netip.AddrPort, error) {
	var line strings.Builder
	for !strings.HasSuffix(line.String(), "\r\n") {
		b, err := r.ReadByte()
		if err != nil {
			return netip.AddrPort{}, err
		}
		if line.Len() == v1Longest-1 {
			return netip.AddrPort{}, errProxyHeader
		}
		line.WriteByte(b)
	}
	fields := strings.Split(strings.TrimSuffix(line.String(), "\r\n"), " ")
	if len(fields) < 2 || fields[0] != "PROXY" {
		return netip.AddrPort{}, errProxyHeader
	}
	if fields[1] == "UNKNOWN" {
		return netip.AddrPort{}, nil
	}
	if len(fields) != 6 || fields[1] != "TCP4" && fields[1] != "TCP6" {
		return netip.AddrPort{}, errProxyHeader
	}
	from, ok := v1Address(fields[2], fields[4], fields[1] == "TCP4")
	_, ok2 := v1Address(fields[3], fields[5], fields[1] == "TCP4")
	if !ok || !ok2 {
		return netip.AddrPort{}, errProxyHeader
	}
	return from, nil
}

func v1Address(addr, port string, four bool) (netip.AddrPort, bool) {
	a, err := netip.ParseAddr(addr)
	n, perr := strconv.ParseUint(port, 10, 16)
	sound := err == nil && perr == nil && a.Zone() == "" && a.Is4() == four && strconv.FormatUint(n, 10) == port
	return netip.AddrPortFrom(a, uint16(n)), sound
}

func readV2(r *bufio.Reader) (netip.AddrPort, error) {
	var head [16]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return netip.AddrPort{}, err
	}
	length := int(binary.BigEndian.Uint16(head[14:]))
	if head[12]>>4 != 2 || head[12]&15 > 1 || length > v2Longest {
		return netip.AddrPort{}, errProxyHeader
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(r, body); err != nil {
		return netip.AddrPort{}, err
	}
	if head[12]&15 == 0 { // LOCAL: the proxy's own connection (2.2)
		return netip.AddrPort{}, nil
	}
	switch {
	case head[13] == 0x11 && length >= 12: // TCP over IPv4
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(body[:4])), binary.BigEndian.Uint16(body[8:])), nil
	case head[13] == 0x21 && length >= 36: // TCP over IPv6
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(body[:16])).Unmap(), binary.BigEndian.Uint16(body[32:])), nil
	case head[13] == 0x00: // UNSPEC
		return netip.AddrPort{}, nil
	}
	return netip.AddrPort{}, errProxyHeader
}
