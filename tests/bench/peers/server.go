// A peer in Go: net/http and nothing else. `server PORT` listens on 127.0.0.1.
package main

import (
	"encoding/json"
	"log"
	"math/rand/v2"
	"net/http"
	"os"
	"time"
)

var answer = map[string]string{"name": "httpserver", "version": "0.1.0", "python": "3.x", "host": "bench"}

func version(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(answer)
}

func delayed(w http.ResponseWriter, r *http.Request) {
	time.Sleep(time.Duration(rand.Float64() * 2 * float64(time.Second)))
	version(w, r)
}

func main() {
	http.HandleFunc("/version", version)
	http.HandleFunc("/", delayed)
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Args[1], nil))
}
