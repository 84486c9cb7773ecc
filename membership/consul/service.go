package consul

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"github.com/hashicorp/consul/api"
)

// tell gives the agent the outcome of a self test. An agent that does not know
// the check has restarted with nothing in it, or somebody has removed the check:
// it gets the registration again. It answers 404 then (agent/acl.go,
// vetCheckUpdateWithAuthorizer), and 500 to a check that is no TTL check.
func (r *registration) tell(ctx context.Context, output string) error {
	err := r.update(ctx, output)
	if status, _ := statusOf(err); status != http.StatusNotFound && status != http.StatusInternalServerError {
		return err
	}
	if err := r.register(ctx); err != nil {
		return err
	}
	return r.update(ctx, output)
}

func (r *registration) update(ctx context.Context, output string) error {
	ctx, cancel := r.store.brief(ctx)
	defer cancel()
	if err := r.store.client.Agent().UpdateTTLOpts(r.checkID(), output, r.status, r.store.read(ctx)); err != nil {
		return fmt.Errorf("pass the check: %w", err)
	}
	return nil
}

// reconcile registers the service again if the agent has another one than ours.
func (r *registration) reconcile(ctx context.Context) error {
	have, err := r.present(ctx)
	if err != nil || r.isOurs(have) {
		return err
	}
	return r.register(ctx)
}

// register gives the agent the service and its check, in place of what it has of
// that id. The agent tells the servers of both in one step.
func (r *registration) register(ctx context.Context) error {
	if have, err := r.present(ctx); err != nil {
		return err
	} else if have != nil && have.Service != r.service.Name {
		return fmt.Errorf("%w: %s is of cluster %s", errForeignID, r.service.ID, have.Service)
	}
	ctx, cancel := r.store.brief(ctx)
	defer cancel()
	service := *r.service
	service.Check = r.check()
	options := api.ServiceRegisterOpts{ReplaceExistingChecks: true, Token: r.store.token.read()}.WithContext(ctx)
	if err := r.store.client.Agent().ServiceRegisterOpts(&service, options); err != nil {
		return fmt.Errorf("register the service: %w", err)
	}
	r.store.config.Logger.Info("consul: registered the node", "node", r.self.Name, "service", r.service.ID)
	return nil
}

func (r *registration) checkID() string { return "service:" + r.service.ID }

func (r *registration) check() *api.AgentServiceCheck {
	return &api.AgentServiceCheck{
		CheckID: r.checkID(), Name: "self test", Status: r.status,
		TTL:                            r.store.config.TTL.String(),
		DeregisterCriticalServiceAfter: r.store.config.DeregisterAfter.String(),
	}
}

// present returns the service that the agent has under the id, nil if none.
func (r *registration) present(ctx context.Context) (*api.AgentService, error) {
	ctx, cancel := r.store.brief(ctx)
	defer cancel()
	have, _, err := r.store.client.Agent().Service(r.service.ID, r.store.read(ctx))
	if status, _ := statusOf(err); status == http.StatusNotFound {
		return nil, nil //nolint:nilnil // no service is the answer, not an error
	}
	if err != nil {
		return nil, fmt.Errorf("read the service: %w", err)
	}
	return have, nil
}

// isOurs says whether a service is this registration, whatever else it has.
func (r *registration) isOurs(have *api.AgentService) bool {
	if have == nil || have.Service != r.service.Name || have.Address != r.service.Address || have.Port != r.service.Port {
		return false
	}
	for key, value := range r.service.Meta {
		if have.Meta[key] != value {
			return false
		}
	}
	return true
}

// removeService deregisters the service, unless the agent has a successor's.
func (r *registration) removeService(ctx context.Context) error {
	have, err := r.present(ctx)
	if err != nil {
		return err
	}
	if have == nil || have.Service != r.service.Name || have.Meta[metaIncarnation] != strconv.FormatUint(r.self.Incarnation, 10) {
		return nil
	}
	ctx, cancel := r.store.brief(ctx)
	defer cancel()
	if err := r.store.client.Agent().ServiceDeregisterOpts(r.service.ID, r.store.read(ctx)); err != nil {
		return fmt.Errorf("deregister the service: %w", err)
	}
	return nil
}
