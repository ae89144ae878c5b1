"""`./x bench peers`: Millrace, Open vSwitch with DPDK, testpmd and the kernel, side by side in one run."""
