package httpapi

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// writeJSON answers with a value in JSON on one line. It is encoded before the
// answer begins, so that an error can still be answered. What cannot be sent is
// dropped: the client is gone, and there is nobody to tell.
func writeJSON(w http.ResponseWriter, contentType string, status int, value any) error {
	encoder := json.NewEncoder(&jsonWriter{w, contentType, status})
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return fmt.Errorf("encode the answer: %w", err)
	}
	return nil
}

// jsonWriter begins the answer once its body is there: an encoder writes once, and
// only what it could encode.
type jsonWriter struct {
	http.ResponseWriter
	contentType string
	status      int
}

func (w *jsonWriter) Write(body []byte) (int, error) {
	w.Header().Set("Content-Type", w.contentType)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(w.status)
	_, _ = w.ResponseWriter.Write(body)
	return len(body), nil
}

// writeText answers with a line of text.
func writeText(w http.ResponseWriter, text string) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, text)
	return nil
}
