"""What runs in a worker process, and in a zygote."""
