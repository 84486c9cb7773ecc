package consul

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"

	"github.com/hashicorp/consul/api"

	"github.com/torc-io/torc/membership"
)

// The meta data of a service, beside its address. Consul keeps 64 pairs, with
// values of 512 bytes.
const (
	metaNode        = "node"
	metaIncarnation = "incarnation"
	metaZone        = "zone"
	metaHTTP        = "http"
	metaRingSize    = "ring_size"
	metaVersion     = "version"
)

// errFiltered: Consul leaves out what a token may not see without calling that
// an error, and a list with holes looks like nodes that are gone.
var errFiltered = errors.New("the ACL token does not show all nodes: it needs node_prefix \"\" { policy = \"read\" } and service read")

// instance is a node as the catalog has it, with the state of its checks.
type instance struct {
	membership.Node

	status string // the worst of its service's and its agent's checks
}

// askNodes returns the nodes of the cluster, sorted by name. What else is
// registered as that service is left out, and said once.
func (s *Store) askNodes(options *api.QueryOptions) ([]membership.Node, *api.QueryMeta, error) {
	instances, meta, err := s.askInstances(options)
	if err != nil {
		return nil, nil, err
	}
	byName := make(map[string]membership.Node, len(instances))
	for _, i := range instances {
		// A node that moved to another agent leaves its last self with the old one.
		if known, twice := byName[i.Name]; !twice || known.Incarnation < i.Incarnation {
			byName[i.Name] = i.Node
		}
	}
	nodes := slices.Collect(maps.Values(byName))
	slices.SortFunc(nodes, func(a, b membership.Node) int { return cmp.Compare(a.Name, b.Name) })
	return nodes, meta, nil
}

func (s *Store) askInstances(options *api.QueryOptions) ([]instance, *api.QueryMeta, error) {
	entries, meta, err := s.client.Health().Service(s.config.Cluster, "", false, options)
	if err != nil {
		return nil, nil, err
	}
	if meta.ResultsFilteredByACLs {
		return nil, nil, errFiltered
	}
	var instances []instance
	var strange error
	for _, entry := range entries {
		i, err := decodeInstance(entry)
		if err != nil {
			strange = errors.Join(strange, err)
			continue
		}
		instances = append(instances, i)
	}
	if s.strange.isNew(strange) && strange != nil {
		s.config.Logger.Warn("consul: left out what is registered as a node of this cluster, and is none", "error", strange)
	}
	return instances, meta, nil
}

// decodeInstance reads an entry of the catalog, which anybody may have written.
func decodeInstance(entry *api.ServiceEntry) (instance, error) {
	if entry == nil || entry.Node == nil || entry.Service == nil {
		return instance{}, errors.New("it has no node or no service")
	}
	service := entry.Service
	refuse := func(what string, err error) (instance, error) {
		return instance{}, fmt.Errorf("service %.100q on %s: %s: %w", service.ID, entry.Node.Node, what, err)
	}
	if err := validateName(service.Meta[metaNode]); err != nil {
		return refuse("name", err)
	}
	incarnation, err := strconv.ParseUint(service.Meta[metaIncarnation], 10, 64)
	if err != nil {
		return refuse("incarnation", err)
	}
	if service.Port <= 0 {
		return refuse("port", strconv.ErrRange)
	}
	status := entry.Checks.AggregatedStatus()
	return instance{status: status, Node: membership.Node{
		Name:        service.Meta[metaNode],
		Address:     net.JoinHostPort(cmp.Or(service.Address, entry.Node.Address), strconv.Itoa(service.Port)),
		HTTP:        service.Meta[metaHTTP],
		Zone:        service.Meta[metaZone],
		Incarnation: incarnation,
		Healthy:     status == api.HealthPassing,
	}}, nil
}

// serviceID is what the agent knows a node's service by.
func (s *Store) serviceID(node string) string { return s.config.Cluster + "-" + node }

// service returns how a node is registered.
func (s *Store) service(node membership.Node) (*api.AgentServiceRegistration, error) {
	host, text, err := net.SplitHostPort(node.Address)
	if err != nil {
		return nil, fmt.Errorf("address of the node: %w", err)
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil || port == 0 || host == "" {
		return nil, fmt.Errorf("address of the node: %q is not host:port", node.Address)
	}
	return &api.AgentServiceRegistration{
		ID: s.serviceID(node.Name), Name: s.config.Cluster,
		Address: host, Port: int(port), Meta: s.meta(node),
	}, nil
}

func (s *Store) meta(node membership.Node) map[string]string {
	meta := map[string]string{
		metaNode: node.Name, metaIncarnation: strconv.FormatUint(node.Incarnation, 10),
		metaZone: node.Zone, metaHTTP: node.HTTP, metaVersion: s.config.Version,
	}
	if s.config.RingSize > 0 {
		meta[metaRingSize] = strconv.Itoa(s.config.RingSize)
	}
	maps.DeleteFunc(meta, func(_, value string) bool { return value == "" })
	return meta
}
