// Package mail sends what the house has to say to a person's mailbox.
//
// It owns the outbound queue (texts sealed until they are handed over, then
// erased), the frame around every message, the form of messages on the wire, the
// way to the university's mail server, and the facts of each delivery, kept so
// that "the mail did not arrive" can be answered with what really happened.
//
// It does not own what messages say (each room brings its words), whether an
// address belongs to somebody (directory, factor/mailcode), or when the queue is
// worked on (app, through jobs and Wake).
package mail
