"""What exists once per process: the open connections, the end of the process, threads of the system."""
