package campus

import (
	"context"
	"crypto/rand"
	"database/sql"
	"net/url"
	"path/filepath"
	"strings"
)

// freshSchema makes an empty schema on a PostgreSQL server and gives the URL that
// leads into it. It goes away with the server.
func freshSchema(ctx context.Context, server string) (string, error) {
	db, err := sql.Open("pgx", server) // the driver comes with the store
	if err != nil {
		return "", err
	}
	defer db.Close()
	name := "c_" + strings.ToLower(rand.Text())
	if _, err := db.ExecContext(ctx, "CREATE SCHEMA "+name); err != nil {
		return "", err
	}
	u, err := url.Parse(server)
	if err != nil {
		return "", err
	}
	q := u.Query()
	q.Set("search_path", name)
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// Beside gives the URL of an empty database of the campus's kind, in dir or on the
// same server.
func (c *Campus) Beside(ctx context.Context, dir string) (string, error) {
	if c.Postgres != "" {
		return freshSchema(ctx, c.Postgres)
	}
	return "sqlite:" + filepath.Join(dir, strings.ToLower(rand.Text())+".db"), nil
}
