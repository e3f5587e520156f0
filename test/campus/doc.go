// Package campus prepares a university in a folder and runs the real program on
// it, for the load, crash and attack programs.
//
// It owns the folder (configuration, certificate, keys, database) and the life of
// the process. What is asked of the program, and what its answers are worth, is
// the business of the programs that use it.
package campus
