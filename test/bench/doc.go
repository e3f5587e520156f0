// Bench loads the real program over real TLS on a real database and prints each
// figure next to the floor that was measured in the same run.
//
//	go run ./bench                     all figures on SQLite, about 15 minutes
//	go run ./bench -quick              one minute: only whether everything is answered rightly
//	go run ./bench -only signin,flow   some of them
//	../scripts/pgtest sh -c 'go run ./bench -postgres "$SEIMON_TEST_POSTGRES"'
//
// The generator shares the machine with the program. It speaks HTTP/1.1 itself
// (wire.go), so that most of the processors are left for what is measured.
package main
