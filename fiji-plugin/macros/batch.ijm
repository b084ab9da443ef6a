// Every scan below a folder, each into a folder of the same name. Argument: input folder,output folder
// A scan that fails ends the macro, so that nothing goes wrong unnoticed; the reason is in the Log.
arg = split(getArgument(), ",");
list = getFileList(arg[0]);
for (i = 0; i < list.length; i++) {
    name = replace(list[i], "/", "");
    run("Wagiri Reconstruct...", "path=[" + arg[0] + "/" + name + "] output=[" + arg[1] + "/" + name + "] ring_kernel=5 pixel_um=10");
    print(name + " is done");
}
