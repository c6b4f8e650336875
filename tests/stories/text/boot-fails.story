Whenever Arya is unsure, its rule goes; the rule below is always the safer answer.

ana starts emr-next at 5 %
wait until emr-next is provisioning
40 s pass
the canary fails to boot
wait until emr-next is failed
then no main rule stands
then users reach production 100 %
then nothing more is to be done
ana sets emr-next to 5 %
ana destroys emr-next
wait until emr-next is destroyed

----------------------------------------
     0.0 s  Ana started "emr-next": canary and baseline are to get 5 % each.
     0.0 s  The files are being uploaded.
     0.0 s  Arya created the temporary bucket.
     0.0 s  Arya created the app security group.
     0.0 s  Arya created the monitor security group.
     0.0 s  Arya created the baseline target group.
     0.0 s  Arya created the canary target group.
     2.0 s  Arya began to upload file aaaaaaaaaaaa.
     2.0 s  Arya began to upload file bbbbbbbbbbbb.
     2.0 s  Arya began to upload file cccccccccccc.
     2.0 s  Arya launched the baseline instance.
     2.0 s  Arya launched the canary instance.
     2.0 s  Arya launched the monitor instance.
    24.0 s  The baseline instance is booting (20.0 s after its start).
    24.0 s  The canary instance is booting (20.0 s after its start).
    24.0 s  The monitor instance is booting (20.0 s after its start).
    32.0 s  The files are up; the instances are being made ready.
    36.0 s  The baseline instance has its container runtime ready (32.0 s after its start).
    36.0 s  The canary instance has its container runtime ready (32.0 s after its start).
    36.0 s  The monitor instance has its container runtime ready (32.0 s after its start).
    48.0 s  The baseline instance has fetched its files (44.0 s after its start).
    48.0 s  The canary instance has fetched its files (44.0 s after its start).
    48.0 s  The monitor instance has fetched its files (44.0 s after its start).
    60.0 s  The baseline instance has loaded its images (56.0 s after its start).
    60.0 s  The canary instance has loaded its images (56.0 s after its start).
    60.0 s  The monitor instance has loaded its images (56.0 s after its start).
    72.0 s  The baseline instance is up (68.0 s after its start).
    72.0 s  The canary instance is up (68.0 s after its start).
    72.0 s  The monitor instance is up (68.0 s after its start).
    72.0 s  The apps run; no user reaches them yet.
    72.0 s  > the canary fails to boot
    74.0 s  The canary instance failed to start (70.0 s after its start).
    74.0 s  Arya gave up: The canary instance failed to start. The app ended while it was starting. Users stay on production; what stands waits for destroy.
    74.0 s  The deployment failed; what stands stays until destroy.
    74.0 s  > ana sets emr-next to 5 %
    74.0 s  > refused: The deployment failed (The canary instance failed to start. The app ended while it was starting.) and cannot take traffic. Destroy it, and start a new one.
    74.0 s  Ana asked for everything of ours to be removed.
    74.0 s  Everything of ours is being removed.
    74.0 s  Arya deleted the baseline target group.
    74.0 s  Arya deleted the canary target group.
    74.0 s  Arya terminated the baseline instance.
    74.0 s  Arya terminated the canary instance.
    74.0 s  Arya terminated the monitor instance.
   120.0 s  Arya deleted the app security group.
   120.0 s  Arya deleted the monitor security group.
   120.0 s  Arya emptied and deleted the temporary bucket.
   152.0 s  Production is exactly as before: 0 differences.
----------------------------------------
emr-next is destroyed. Planned again: no steps.
Its restore proof: 0 differences.
Its users reach production 100 %.
The listener, its rules, its groups and their targets: exactly as before.
