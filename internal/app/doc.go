// Package app is the building plan: it reads the configuration, opens the rooms in
// order, joins them, serves them, and gives each its subcommand.
//
// It is the only package that imports all others, and the only one that reads
// files, flags and the environment. It decides nothing about sign-ins.
package app
