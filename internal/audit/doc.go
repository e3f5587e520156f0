// Package audit keeps what happened: typed events, written in the transaction
// of the thing that happened, never changed afterwards and chained so that a
// change, a removal or an insertion in the database is found and named.
//
// An event is first a fresh row, so that writers share no chain head. About once
// a second Seal moves fresh rows into the archive: each row gets a keyed seal, and
// the rows together one block that names their ids and the block before. Nothing
// depends on the order of ids, in which PostgreSQL leaves gaps and makes rows
// visible late. Cutting off the newest blocks is found by comparing the Head of an
// earlier report, which is why reports name it.
//
// The room does not own what events mean (the rooms that write them), the words
// in which people read them (diagnosis, desk/portal) or the key (keyring).
package audit
