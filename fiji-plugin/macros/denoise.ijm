// Trains a denoiser on a scan, then reconstructs the scan with it. Argument: scan,work folder,output folder,options such as epochs=20
arg = split(getArgument(), ",");
job = "path=[" + arg[0] + "] work=[" + arg[1] + "] pixel_um=1.3 " + arg[3];
if (File.exists(arg[1] + "/checkpoint.safetensors")) job = job + " resume";
run("Wagiri Train Denoiser...", job);
run("Wagiri Apply Denoiser...", "path=[" + arg[0] + "] model=[" + arg[1] + "/model.safetensors] output=[" + arg[2] + "] open");
print(nSlices + " slices made with " + Property.get("wagiri.model"));
