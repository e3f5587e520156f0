package app

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

type serveCommand struct{}

// Run serves until the program is told to stop.
func (serveCommand) Run(d *Desk) error {
	c, err := LoadConfig(d.program.Config)
	if err != nil {
		return err
	}
	if d.opened, err = Open(d.ctx, c, Options{Log: newLog(d.streams.Err, c.LogLevel)}); err != nil {
		return err
	}
	return serveConfigured(d.ctx, c, d.opened)
}

type versionCommand struct{}

// Run prints the version of the program and of what it was made with.
func (versionCommand) Run(d *Desk) error {
	version := "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		version = info.Main.Version
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				version += " " + s.Value
			}
		}
	}
	_, err := fmt.Fprintln(d.Out(), "seimon", version, runtime.Version(), runtime.GOOS+"/"+runtime.GOARCH)
	return err
}
