"""The pages of the portal: parse, call one selector or service, render. Nothing is decided here."""
