package store

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// applicationID marks a SQLite file as ours (file format, 1.3.15): "Smon".
const applicationID = 0x536d6f6e

// quickCheckLimit is the size in bytes up to which a file is checked whole at every start.
const quickCheckLimit = 16 << 20

const headerSize = 100

// prepareFile makes path ready to be opened: an absent file is created readable
// by its owner alone, and a file that is damaged or not ours is refused without a
// byte of it being changed.
func prepareFile(ctx context.Context, path string) error {
	if path == "" || strings.HasPrefix(path, ":") {
		return errors.New(`the database needs the path of a file: "sqlite:/var/lib/seimon/seimon.db"`)
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return createFile(path)
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if err := inspectFile(ctx, f, path); err != nil {
		return fmt.Errorf("%w; it was left untouched", err)
	}
	return nil
}

func createFile(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path)) // the name itself must outlive a power cut
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func inspectFile(ctx context.Context, f *os.File, path string) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a file", path)
	}
	if info.Size() == 0 {
		return nil
	}
	h, err := readHeader(f, path)
	if err != nil {
		return err
	}
	logged := hasLog(path)
	// With a log beside it the file may lag behind what its header promises.
	if size := h.pages * h.pageSize; !logged && size > info.Size() {
		return fmt.Errorf("%s is cut short: it has %d bytes of %d", path, info.Size(), size)
	}
	if h.app != applicationID && (h.app != 0 || h.tables > 0) {
		return fmt.Errorf("%s is the database of another program", path)
	}
	return askSQLite(ctx, path, logged, info.Size() <= quickCheckLimit)
}

// header is what the first bytes of a database file tell.
type header struct {
	pageSize, pages int64
	app             uint32
	tables          int // cells on the first page, which lists the tables
}

// readHeader reads the file header (SQLite file format, 1.3) and that of the
// first page (1.6).
func readHeader(f io.Reader, path string) (header, error) {
	head := make([]byte, headerSize+8)
	if _, err := io.ReadFull(f, head); err != nil || string(head[:16]) != "SQLite format 3\x00" {
		return header{}, fmt.Errorf("%s is not a SQLite database", path)
	}
	h := header{
		pageSize: int64(binary.BigEndian.Uint16(head[16:])),
		pages:    int64(binary.BigEndian.Uint32(head[28:])),
		app:      binary.BigEndian.Uint32(head[68:]),
		tables:   int(binary.BigEndian.Uint16(head[headerSize+3:])),
	}
	if h.pageSize == 1 {
		h.pageSize = 65536
	}
	if h.pageSize < 512 || h.pageSize&(h.pageSize-1) != 0 {
		return header{}, fmt.Errorf("%s is damaged: its header gives pages of %d bytes", path, h.pageSize)
	}
	return h, nil
}

// hasLog tells whether a write-ahead log lies beside the file: after a crash, or
// while another program has the file open.
func hasLog(path string) bool {
	info, err := os.Stat(path + "-wal")
	return err == nil && info.Size() > 0
}

// askSQLite lets SQLite read the file. Without a log it is opened as immutable, so
// that nothing is created beside it.
func askSQLite(ctx context.Context, path string, logged, whole bool) error {
	mode := "?mode=ro"
	if !logged {
		mode += "&immutable=1"
	}
	db, err := sql.Open("sqlite", fileURL(path)+mode)
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	var app, tables int64
	if err := db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables); err != nil {
		return fmt.Errorf("%s cannot be read as a database: %w", path, err)
	}
	if err := db.QueryRowContext(ctx, "PRAGMA application_id").Scan(&app); err != nil {
		return fmt.Errorf("%s cannot be read as a database: %w", path, err)
	}
	if app != applicationID && (app != 0 || tables > 0) {
		return fmt.Errorf("%s is the database of another program", path)
	}
	if !whole {
		return nil
	}
	var verdict string
	if err := db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&verdict); err != nil {
		return fmt.Errorf("%s is damaged: %w", path, err)
	}
	if verdict != "ok" {
		return fmt.Errorf("%s is damaged: %s", path, verdict)
	}
	return nil
}
