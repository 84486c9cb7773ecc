package gateway

import (
	"bytes"
	"encoding/json"
	"fmt"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	torcpb "github.com/torc-io/torc/proto/torc/v1"
)

// typePrefix is what stands before the name of a type in an Any.
const typePrefix = "type.googleapis.com/"

// jsonCodec is protobuf's JSON, with two differences to that which Connect comes
// with. It knows the types of the catalog alone, while the other decodes every
// type that is linked into the program. And the "@type" of a command may be left
// out if its name is given, since nobody wants to type it.
type jsonCodec struct {
	name    string
	catalog *catalog
}

// Name is the codec's part of the content type.
func (c *jsonCodec) Name() string { return c.name }

// Marshal encodes a message.
func (c *jsonCodec) Marshal(message any) ([]byte, error) { return c.MarshalAppend(nil, message) }

// MarshalAppend encodes a message after dst.
func (c *jsonCodec) MarshalAppend(dst []byte, message any) ([]byte, error) {
	m, ok := message.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("%T is no protobuf message", message)
	}
	return protojson.MarshalOptions{Resolver: c.catalog.types}.MarshalAppend(dst, m)
}

// Unmarshal decodes a message.
func (c *jsonCodec) Unmarshal(data []byte, message any) error {
	if request, ok := message.(*torcpb.ExecuteRequest); ok {
		return c.unmarshalRequest(data, request)
	}
	m, ok := message.(proto.Message)
	if !ok {
		return fmt.Errorf("%T is no protobuf message", message)
	}
	return c.decode(data, m)
}

func (c *jsonCodec) decode(data []byte, m proto.Message) error {
	return protojson.UnmarshalOptions{Resolver: c.catalog.types}.Unmarshal(data, m)
}

// unmarshalRequest decodes a request whose command may lack its type. A command
// that the catalog does not have is left out, all but its type, so that it is
// refused by name and not as malformed.
func (c *jsonCodec) unmarshalRequest(data []byte, request *torcpb.ExecuteRequest) error {
	o := scan(data)
	if !o.hasMessage() {
		return c.decode(data, request)
	}
	if o.typeURL == "" {
		m, err := c.catalog.find(o.service, o.command, nil)
		if err != nil {
			return c.decode(o.blank(data), request)
		}
		return c.decode(o.insertType(data, typePrefix+string(typeOf(m))), request)
	}
	if _, err := c.catalog.types.FindMessageByURL(o.typeURL); err != nil {
		err := c.decode(o.blank(data), request)
		request.Message = &anypb.Any{TypeUrl: o.typeURL}
		return err
	}
	return c.decode(data, request)
}

// outline is what must be known of a request in JSON before it can be decoded.
type outline struct {
	service, command string
	typeURL          string // of the message, "" if there is none
	start, end       int    // of the message
	fields           int    // in the message
}

// scan finds the outline of a request. What is malformed it does not judge: the
// decoder will, in better words.
func scan(data []byte) outline {
	var o outline
	decoder := json.NewDecoder(bytes.NewReader(data))
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		return o
	}
	for decoder.More() {
		name, err := decoder.Token()
		var value json.RawMessage
		if err != nil || decoder.Decode(&value) != nil {
			return outline{}
		}
		switch name {
		case "service":
			_ = json.Unmarshal(value, &o.service)
		case "command":
			_ = json.Unmarshal(value, &o.command)
		case "message":
			o.end = int(decoder.InputOffset())
			o.start = o.end - len(value)
			o.scanMessage(value)
		}
	}
	return o
}

// scanMessage finds the type of the message. Anything but an object has none.
func (o *outline) scanMessage(value json.RawMessage) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(value, &fields) != nil || fields == nil {
		o.start, o.end = 0, 0
		return
	}
	o.fields = len(fields)
	_ = json.Unmarshal(fields["@type"], &o.typeURL)
}

func (o *outline) hasMessage() bool { return o.end > o.start }

// insertType adds the type to a message without one.
func (o *outline) insertType(data []byte, typeURL string) []byte {
	field := `"@type":"` + typeURL + `"`
	if o.fields > 0 {
		field += ","
	}
	return splice(data, o.start+1, o.start+1, field)
}

// blank returns the request without what is in its message.
func (o *outline) blank(data []byte) []byte { return splice(data, o.start, o.end, "{}") }

// splice returns data with what is between start and end replaced.
func splice(data []byte, start, end int, by string) []byte {
	return bytes.Join([][]byte{data[:start], data[end:]}, []byte(by))
}
