// Package app is the building plan: it reads the configuration, opens the rooms
// from the lowest floor up, connects them, serves, and stops cleanly. It is the
// only room that knows all others and the only one that reads files, flags and
// the environment.
//
// It owns the configuration file, the lists of plug-ins (rooms.go), the command
// line, health and metrics, and what is noticed about undeclared proxies. It does
// not own what any command does inside a room: that lives in the room.
package app
