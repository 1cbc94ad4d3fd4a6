"""The comparison with peers: the same upstream, the same load, one core each, in the same run. See bench/README.md."""
