// Package store opens the database and is the only door to it: Read and Write, and
// Glance for what needs no transaction.
//
// It owns connections, transactions, group commit, retries, migrations and the
// few words in which the two SQL flavours differ. It does not own any table but
// its own list of migrations: each room brings its SQL and its schema.
//
// Write the common subset: $1 parameters, RETURNING, ON CONFLICT, BIGINT for
// integers and for times (Unix milliseconds), BIGINT 0/1 for truth, TEXT, BYTEA,
// JSON as TEXT, and "IDENTITY PRIMARY KEY" for a number the database gives. In a text
// NUL and broken UTF-8 become U+FFFD, in what is stored and in what is looked for.
package store
