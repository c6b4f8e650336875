An instance that is lost before users come is launched anew; after that a person decides

ana starts emr-next at 5 %
wait until emr-next is provisioning
30 s pass
the canary instance dies
wait until emr-next is serving
then users reach production 90 %, baseline 5 %, canary 5 %
somebody terminates the canary instance
wait until emr-next is held
then no main rule stands
then users reach production 100 %
1 h pass
then nothing more is to be done
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
    62.0 s  > the canary instance dies
    64.0 s  The canary instance ended by itself; Arya launches it anew.
    64.0 s  Arya launched the canary instance again (try 2).
    72.0 s  The baseline instance is up (68.0 s after its start).
    72.0 s  The monitor instance is up (68.0 s after its start).
    84.0 s  The baseline instance is warmed up and ready (80.0 s after its start).
    84.0 s  The monitor instance is warmed up and ready (80.0 s after its start).
    84.0 s  Arya registered the baseline instance in the baseline target group.
    86.0 s  The canary instance is booting (20.0 s after its start).
    98.0 s  The canary instance has its container runtime ready (32.0 s after its start).
   110.0 s  The canary instance has fetched its files (44.0 s after its start).
   122.0 s  The canary instance has loaded its images (56.0 s after its start).
   134.0 s  The canary instance is up (68.0 s after its start).
   134.0 s  The apps run; no user reaches them yet.
   146.0 s  The canary instance is warmed up and ready (80.0 s after its start).
   146.0 s  Arya registered the canary instance in the canary target group.
   148.0 s  Arya created the probe rule at priority 49999.
   156.0 s  Arya began: the canary gets 5 % of matching traffic, the baseline 5 %.
   156.0 s  Arya created the main rule at priority 50000.
   158.0 s  Our main rule stands on the listener: canary and baseline get 5 % each.
   158.0 s  Users reach baseline and canary now.
   158.0 s  > somebody terminates the canary instance
   168.0 s  The watchdog took the canary share to 0 % (before: 5 %): The canary instance is gone, and with it a side of the comparison. Production's own rule answers everybody, and what stands stays for a look. A person decides: destroy, and start anew.
   168.0 s  Users reach production only; the instances stand, and a person decides.
   168.0 s  Arya deleted the main rule.
  3768.0 s  Ana asked for everything of ours to be removed.
  3768.0 s  Everything of ours is being removed.
  3768.0 s  Arya deleted the probe rule.
  3830.0 s  Arya took the baseline instance out of the baseline target group.
  3830.0 s  Arya deleted the canary target group.
  3830.0 s  Arya terminated the monitor instance.
  3832.0 s  No new requests reach our instances; those they have are being finished.
  3834.0 s  Arya deleted the baseline target group.
  3834.0 s  Arya terminated the baseline instance.
  3880.0 s  Arya deleted the app security group.
  3880.0 s  Arya deleted the monitor security group.
  3880.0 s  Arya emptied and deleted the temporary bucket.
  3912.0 s  Production is exactly as before: 0 differences.
----------------------------------------
emr-next is destroyed. Planned again: no steps.
Its restore proof: 0 differences.
Its users reach production 100 %.
The listener, its rules, its groups and their targets: exactly as before.
