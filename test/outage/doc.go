// Command outage takes the database of the running program out of order and brings
// it back: a SQLite file that another program locks, a disk that is full, a
// PostgreSQL server that is stopped. In between every page must say what is the
// matter within seconds, and afterwards everything must go on by itself, support
// codes included. With -lock FILE it only locks a file until its input ends, for
// tests in browsers.
package main
