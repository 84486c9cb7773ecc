package gateway

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/anypb"

	torc "github.com/torc-io/torc"
	torcpb "github.com/torc-io/torc/proto/torc/v1"
)

// catalog knows the commands of a node. It is what the gateway decodes, and what
// it tells of: no other type that happens to be linked into the program.
type catalog struct {
	services map[string]map[string]torc.Method // by service and name
	types    *protoregistry.Types              // of commands and replies
	files    *protoregistry.Files              // with their definitions, and that of the command service
}

func newCatalog(methods []torc.Method) *catalog {
	c := &catalog{make(map[string]map[string]torc.Method), new(protoregistry.Types), new(protoregistry.Files)}
	c.addFile(torcpb.File_torc_v1_command_proto)
	for _, m := range methods {
		if c.services[m.Service()] == nil {
			c.services[m.Service()] = make(map[string]torc.Method)
		}
		c.services[m.Service()][m.Name()] = m
		c.addType(m.NewCommand().ProtoReflect().Type())
		c.addType(m.NewReply().ProtoReflect().Type())
	}
	return c
}

// addType makes a type known. Two commands may share one.
func (c *catalog) addType(t protoreflect.MessageType) {
	if _, err := c.types.FindMessageByName(t.Descriptor().FullName()); err == nil {
		return
	}
	_ = c.types.RegisterMessage(t) // the name is free
	c.addFile(t.Descriptor().ParentFile())
}

// addFile makes a file known, with all that it imports. Should two services
// bring different files of one name, reflection tells of the first.
func (c *catalog) addFile(file protoreflect.FileDescriptor) {
	if _, err := c.files.FindFileByPath(file.Path()); err == nil {
		return
	}
	for i := range file.Imports().Len() {
		c.addFile(file.Imports().Get(i).FileDescriptor)
	}
	_ = c.files.RegisterFile(file)
}

// find returns the command that a request is for. It is named by its name, by
// the type of its message, or by both.
func (c *catalog) find(service, name string, message *anypb.Any) (torc.Method, error) {
	commands, ok := c.services[service]
	if !ok {
		return torc.Method{}, fmt.Errorf("%w %q: this node runs %s", torc.ErrUnknownService, service, list(c.services))
	}
	typeName := message.MessageName()
	if name == "" {
		name = string(typeName.Name())
	}
	m, ok := commands[name]
	switch {
	case name == "":
		return m, fmt.Errorf("%w: the request names no command; %s has %s", torc.ErrInvalid, service, list(commands))
	case !ok:
		return m, fmt.Errorf("%w %q: %s has %s", torc.ErrUnknownCommand, name, service, list(commands))
	case message.GetTypeUrl() != "" && typeName != typeOf(m):
		return m, fmt.Errorf("%w: %s of %s is a %s, not a %q", torc.ErrUnknownCommand, name, service, typeOf(m), message.GetTypeUrl())
	}
	return m, nil
}

// typeOf returns the full name of a command's message.
func typeOf(m torc.Method) protoreflect.FullName {
	return m.NewCommand().ProtoReflect().Descriptor().FullName()
}

// list names what there is.
func list[V any](names map[string]V) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(slices.Sorted(maps.Keys(names)), ", ")
}
