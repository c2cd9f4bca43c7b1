// A peer in Go: a phone book by net/http and database/sql on SQLite.
//
// `phonebook PORT FILE` listens on 127.0.0.1. The file has the tables of
// tests/bench/contacts.py; the journal is as durable as that of our service.
package main

import (
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	_ "github.com/mattn/go-sqlite3"
)

const (
	last    = "\U0010ffff"
	columns = "SELECT id, first_name, last_name, number, email, note, created_at, updated_at FROM contacts "
)

type contact struct {
	ID        string  `json:"id"`
	FirstName string  `json:"first_name"`
	LastName  string  `json:"last_name"`
	Number    string  `json:"number"`
	Email     *string `json:"email"`
	Note      *string `json:"note"`
	CreatedAt int64   `json:"created_at"`
	UpdatedAt int64   `json:"updated_at"`
}

type book struct{ readers, writer *sql.DB }

func open(file string, connections int, lock string) *sql.DB {
	db, err := sql.Open("sqlite3", "file:"+file+"?_journal_mode=WAL&_synchronous=FULL&_busy_timeout=4000&_txlock="+lock)
	if err != nil {
		log.Fatal(err)
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db
}

func (b *book) find(w http.ResponseWriter, r *http.Request) {
	asked := r.URL.Query()
	limit, err := strconv.Atoi(asked.Get("limit"))
	if err != nil {
		limit = 50
	}
	var rows *sql.Rows
	number, words := asked.Get("number"), asked.Get("q")
	if prefix, found := strings.CutSuffix(number, "*"); found {
		rows, err = b.readers.Query(columns+"WHERE number >= ? AND number < ? ORDER BY number LIMIT ?", prefix, prefix+last, limit)
	} else if number != "" {
		rows, err = b.readers.Query(columns+"WHERE number = ?", number)
	} else {
		rows, err = b.readers.Query(columns+"WHERE last_name >= ? AND last_name < ? ORDER BY last_name LIMIT ?", words, words+last, limit)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	defer rows.Close()
	items := []contact{}
	for rows.Next() {
		var c contact
		if err := rows.Scan(&c.ID, &c.FirstName, &c.LastName, &c.Number, &c.Email, &c.Note, &c.CreatedAt, &c.UpdatedAt); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		items = append(items, c)
	}
	answer(w, http.StatusOK, map[string]any{"items": items})
}

func (b *book) add(w http.ResponseWriter, r *http.Request) {
	var c contact
	if err := json.NewDecoder(r.Body).Decode(&c); err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	var id [16]byte
	rand.Read(id[:])
	c.ID, c.CreatedAt = fmt.Sprintf("%x", id), time.Now().UnixMicro()
	c.UpdatedAt = c.CreatedAt
	_, err := b.writer.Exec("INSERT INTO contacts VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
		c.ID, c.FirstName, c.LastName, c.Number, c.Email, c.Note, c.CreatedAt, c.UpdatedAt)
	if err != nil {
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	answer(w, http.StatusCreated, c)
}

func answer(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(value)
}

func main() {
	b := book{readers: open(os.Args[2], 4, "deferred"), writer: open(os.Args[2], 1, "immediate")}
	http.HandleFunc("GET /api/v1/contacts", b.find)
	http.HandleFunc("POST /api/v1/contacts", b.add)
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Args[1], nil))
}
