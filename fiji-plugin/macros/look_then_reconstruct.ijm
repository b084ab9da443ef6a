// Looks at the sinograms of a scan, then reconstructs the scan behind the active stack. Argument: scan,output folder
arg = split(getArgument(), ",");
run("Wagiri Open Scan...", "path=[" + arg[0] + "] show=sinograms normalize virtual");
print(nSlices + " sinograms of " + getWidth() + " x " + getHeight() + " from " + Property.get("wagiri.path"));
rows = nSlices;
top = 20;
run("Wagiri Reconstruct...", "output=[" + arg[1] + "] last=" + (rows - 1) + " pixel_um=1.3 type=16-bit min=0 max=&top open");
