# The network alone, with a provider that makes nothing.
mock_provider "aws" {}

variables {
  name   = "t"
  region = "eu-west-1"
  cidr   = "10.20.0.0/16"
  zones  = ["a", "b", "c"]
  nat    = "none"
}

run "without_nat_nothing_leads_out_of_private_subnets_and_nodes_sit_in_public_ones" {
  module {
    source = "./modules/network"
  }

  assert {
    condition     = length(aws_nat_gateway.this) == 0 && length(aws_eip.nat) == 0 && length(aws_route.nat) == 0
    error_message = "a NAT gateway costs more than a machine"
  }

  assert {
    condition     = alltrue([for subnet in aws_subnet.public : subnet.map_public_ip_on_launch])
    error_message = "a node without an address has no way out, and pulls no image"
  }

  assert {
    condition     = toset(output.node_subnet_ids) == toset([for subnet in aws_subnet.public : subnet.id])
    error_message = "nodes in private subnets could pull nothing"
  }
}

run "one_nat_gateway_is_the_way_out_of_each_zone" {
  variables {
    nat = "single"
  }

  module {
    source = "./modules/network"
  }

  assert {
    condition     = length(aws_nat_gateway.this) == 1 && length(aws_route.nat) == 3
    error_message = "one gateway, and a route to it from each zone"
  }

  assert {
    condition     = toset([for route in aws_route.nat : route.nat_gateway_id]) == toset([aws_nat_gateway.this["a"].id])
    error_message = "every private subnet leaves by the one gateway"
  }

  assert {
    condition     = !anytrue([for subnet in aws_subnet.public : subnet.map_public_ip_on_launch])
    error_message = "behind a gateway no machine gets a public address"
  }
}

run "with_a_gateway_in_each_zone_none_leaves_by_anothers" {
  variables {
    nat = "per_zone"
  }

  module {
    source = "./modules/network"
  }

  assert {
    condition = alltrue([
      for zone in var.zones :
      aws_route.nat[zone].nat_gateway_id == aws_nat_gateway.this[zone].id
      && aws_route_table_association.private[zone].route_table_id == aws_route_table.private[zone].id
      && aws_nat_gateway.this[zone].subnet_id == aws_subnet.public[zone].id
    ])
    error_message = "a zone that fails must take no other's way out"
  }

  assert {
    condition     = toset(output.node_subnet_ids) == toset([for subnet in aws_subnet.private : subnet.id])
    error_message = "nodes belong in private subnets as soon as something leads out of them"
  }
}

run "no_two_subnets_share_addresses" {
  command = plan

  module {
    source = "./modules/network"
  }

  assert {
    condition     = length(distinct([for subnet in concat(values(aws_subnet.public), values(aws_subnet.private)) : subnet.cidr_block])) == 6
    error_message = "six subnets, six ranges"
  }

  assert {
    condition     = length(coalesce(aws_default_security_group.closed.ingress, [])) + length(coalesce(aws_default_security_group.closed.egress, [])) == 0
    error_message = "the default security group lets nothing in and nothing out"
  }
}

run "a_range_that_is_none_is_refused" {
  command = plan

  variables {
    cidr = "10.20.0.0"
  }

  module {
    source = "./modules/network"
  }

  expect_failures = [var.cidr]
}

run "one_zone_is_refused" {
  command = plan

  variables {
    zones = ["a"]
  }

  module {
    source = "./modules/network"
  }

  expect_failures = [var.zones]
}
