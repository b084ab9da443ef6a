// A chain of stages, in a file or a line, on a scan. Argument: chain,scan,output folder,plugin library
arg = split(getArgument(), ",");
job = "chain=[" + arg[0] + "] input=[" + arg[1] + "] output=[" + arg[2] + "] plugin=[" + arg[3] + "] set=ring.sort.kernel_px=7";
run("Wagiri Run Chain...", job + " dry");
if (!File.exists(arg[2])) print("nothing yet");
run("Wagiri Run Chain...", job + " open");
print(nSlices + " slices in " + Property.get("wagiri.output"));
