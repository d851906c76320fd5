"""The command line, a module for each command. Exit statuses: `gateway.commands.main`."""
