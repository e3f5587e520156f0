// Command seimon is the gate, its demo and its tools.
package main

import (
	"os"

	"seimon/internal/app"
	"seimon/internal/app/demo"
)

func main() {
	os.Exit(app.Main(os.Args[1:], app.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}, demo.Extra()))
}
