"""The command line: reads words, asks the daemon, prints. Imports control, config and errors only."""
