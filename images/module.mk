# The images: of nodes, and of the balancer before several control planes. They live in the engine's store and not in
# build/, so the script decides what there is to do: with
# nothing changed it makes the same image again, in two seconds.
IMAGE    ?= localhost/berth-node:latest
LB_IMAGE ?= localhost/berth-loadbalancer:latest

.PHONY: image image-smoke image-clean

# $(helpers): the programs beside berthd, installed beside it.
image: build/berthd $(helpers)
	images/node/build --tag $(IMAGE) --berthd build/berthd $(helpers:%=--program %)
	images/node/build --kind loadbalancer --tag $(LB_IMAGE) --berthd build/berthd

image-smoke: image
	images/smoke/run $(IMAGE)

# The bases too: they are ours alone, and the next build makes one again.
image-clean:
	-podman image rm --force $(IMAGE) $(LB_IMAGE)
	for kind in node loadbalancer; do podman images --quiet --filter label=io.berth.image=$$kind-base; done | sort -u | \
		xargs -r podman image rm --force
