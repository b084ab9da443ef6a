// One scan to slices, without opening it first. Argument: scan,output folder
arg = split(getArgument(), ",");
run("Wagiri Reconstruct...", "path=[" + arg[0] + "] output=[" + arg[1] + "] filter=chesler center=auto ring=sort ring_kernel=5 open");
print("center " + Property.get("wagiri.center") + " px, " + nSlices + " slices");
