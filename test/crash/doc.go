// Crash kills the real program in the middle of mixed sign-ins, starts it again on
// the same data, and looks for anything that was acknowledged and is gone, or that
// was accepted twice.
//
//	crash/run                          60 s with 20 kills, on SQLite
//	../scripts/pgtest crash/run        the same on PostgreSQL
//
// A fact counts as acknowledged when its answer has reached the browser or the
// service. Where an answer was lost with the connection, either outcome is right,
// but never two.
package main
