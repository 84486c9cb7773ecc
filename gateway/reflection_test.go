package gateway_test

import (
	"slices"
	"testing"

	"google.golang.org/grpc"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

// reflection asks one thing after the other of a node's server reflection.
type reflection struct {
	t      *testing.T
	stream grpc.BidiStreamingClient[reflectionpb.ServerReflectionRequest, reflectionpb.ServerReflectionResponse]
}

func (r *reflection) ask(q *reflectionpb.ServerReflectionRequest) *reflectionpb.ServerReflectionResponse {
	r.t.Helper()
	if err := r.stream.Send(q); err != nil {
		r.t.Fatal(err)
	}
	answer, err := r.stream.Recv()
	if err != nil {
		r.t.Fatal(err)
	}
	return answer
}

// symbol returns the files that define a symbol, in the order in which they came.
func (r *reflection) symbol(name string) []*descriptorpb.FileDescriptorProto {
	r.t.Helper()
	answer := r.ask(&reflectionpb.ServerReflectionRequest{
		MessageRequest: &reflectionpb.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: name},
	})
	var files []*descriptorpb.FileDescriptorProto
	for _, data := range answer.GetFileDescriptorResponse().GetFileDescriptorProto() {
		file := &descriptorpb.FileDescriptorProto{}
		if err := proto.Unmarshal(data, file); err != nil {
			r.t.Fatal(err)
		}
		files = append(files, file)
	}
	return files
}

// TestReflection: a program that knows nothing finds the command service, and
// the types of all commands and replies, and nothing else.
func TestReflection(t *testing.T) {
	s := startSite(t)
	stream, err := reflectionpb.NewServerReflectionClient(dial(t, s.url)).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r := &reflection{t, stream}
	services := r.ask(&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}})
	if list := services.GetListServicesResponse().GetService(); len(list) != 1 || list[0].GetName() != "torc.v1.CommandService" {
		t.Errorf("services %v", list)
	}
	known := map[string]*descriptorpb.FileDescriptorProto{}
	for _, name := range []string{"torc.v1.CommandService", "torc.kv.v1.Fetch", "torc.kv.v1.Object", "torc.testing.v1.Act", "torc.testing.v1.Seen"} {
		for _, file := range r.symbol(name) {
			known[file.GetName()] = file
		}
	}
	set := &descriptorpb.FileDescriptorSet{}
	for _, name := range []string{"google/protobuf/any.proto", "torc/v1/command.proto", "torc/kv/v1/kv.proto", "torc/testing/v1/testing.proto"} {
		set.File = append(set.File, known[name])
	}
	if slices.Contains(set.GetFile(), nil) {
		t.Fatalf("files %v", known)
	}
	files, err := protodesc.NewFiles(set)
	if err != nil {
		t.Fatal(err)
	}
	checkDescribes(t, files)
	if files := r.symbol("torc.transport.v1.Command"); len(files) != 0 {
		t.Errorf("it tells of what the node's services do not have: %v", files)
	}
}

func checkDescribes(t *testing.T, files *protoregistry.Files) {
	t.Helper()
	found, err := files.FindDescriptorByName("torc.kv.v1.Fetch.key")
	if err != nil || found.Parent().FullName() != "torc.kv.v1.Fetch" {
		t.Errorf("got %v, %v", found, err)
	}
}

// TestReflectionForOlderTools is the same by the name that they call. The two
// versions have the same messages.
func TestReflectionForOlderTools(t *testing.T) {
	s := startSite(t)
	stream, err := dial(t, s.url).NewStream(t.Context(), &reflectionpb.ServerReflection_ServiceDesc.Streams[0],
		"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
	if err != nil {
		t.Fatal(err)
	}
	r := &reflection{t, &grpc.GenericClientStream[reflectionpb.ServerReflectionRequest, reflectionpb.ServerReflectionResponse]{ClientStream: stream}}
	if files := r.symbol("torc.kv.v1.Fetch"); len(files) != 1 {
		t.Errorf("got %v", files)
	}
}
