package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// fileState is what the bytes of a database file tell before SQLite sees them:
// its size, or fileAbsent.
type fileState int64

const fileAbsent fileState = -1

// quickCheckLimit is the size in bytes up to which a file is checked whole at every start.
const quickCheckLimit = 64 << 20

func (s fileState) small() bool { return s <= quickCheckLimit }

func (s fileState) checkPragma() string {
	if s.small() {
		return "PRAGMA quick_check(1)"
	}
	return "PRAGMA schema_version"
}

// sqliteFileState reads the header (SQLite file format, 1.3) and compares the
// size it promises with the size there is.
func sqliteFileState(path string) (fileState, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fileAbsent, nil
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	if info.Size() == 0 {
		return fileAbsent, nil
	}
	head := make([]byte, 100)
	if _, err := io.ReadFull(f, head); err != nil || string(head[:16]) != "SQLite format 3\x00" {
		return 0, fmt.Errorf("%s is not a SQLite database and was left untouched", path)
	}
	page := int64(binary.BigEndian.Uint16(head[16:]))
	if page == 1 {
		page = 65536
	}
	pages := int64(binary.BigEndian.Uint32(head[28:]))
	if wal, err := os.Stat(path + "-wal"); err == nil && wal.Size() > 0 {
		return fileState(info.Size()), nil // the header may be older than the log beside it
	}
	if pages*page > info.Size() {
		return 0, fmt.Errorf("%s is cut short: %d bytes of %d; it was left untouched", path, info.Size(), pages*page)
	}
	return fileState(info.Size()), nil
}
